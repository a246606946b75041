// From the messages of a chat to the text that the model's template makes of them.
#pragma once

#include <string>

#include "api/types.h"
#include "base/status.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace mokume {

/// InvalidArgument names the message and field that is wrong ("messages[2].content"), or passes on
/// what the template raised. Only text content is accepted; tool calls, names and unknown fields of
/// a message reach the template as they are, but arguments of tool calls that hold JSON text become
/// objects, which templates expect.
Result<std::string> render_chat(const ChatRequest& request, const ChatTemplate& chat_template,
                                const Tokenizer& tokenizer);

}  // namespace mokume
