"""Makes the tokenizer.json files of this folder and expected.json: what Hugging Face's tokenizers library answers.

usage: make.py    (with the `tokenizers` package of PyPI; writes beside itself)
"""

import json
import pathlib

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
SPACES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = ENDINGS + r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + SPACES
QWEN2 = ENDINGS + r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + SPACES
QWEN35 = ENDINGS + r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + SPACES
# Upper and lower case words apart, as Mistral's and OpenAI's newer vocabularies have it.
CASES = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
         r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + SPACES)

CORPUS = """The quick brown fox jumps over the lazy dog. It's a dog's life, isn't it? We'll see; they've said I'm wrong.
def split(text): return [word for word in text.split() if word]    # four spaces, 12345 and 3.14159
Die Katze läuft über die Straße und fängt Mäuse. L'été dernier, à Paris, nous étions très heureux. ÉCOLE Straße
日本語のテキスト。東京は日本の首都です。 中文文本：今天天气很好。 한국어 텍스트입니다. Привет, мир! Как дела? שלום עולם مرحبا بالعالم
नमस्ते दुनिया। สวัสดีชาวโลก 😀😀👍🏽 👨‍👩‍👧‍👦 the the the and and of of to to in in that that is is was was for for
hello hello world world Hello HELLO naïve café cafe\u0301 résumé \r\n\r\n\t\tindent\n    indent\n        indent\n"""

TEXTS = [
    "", " ", "a", "Hello, world!", "Hello  world   again    ", "  leading and trailing  ",
    "it's IT'S we'Ll they'Ve I'm you'd 'tis ''s'' rock'n'roll", "it'\u017f a long s",
    "year 2024, 1234567890, 3.14159, 0x1F, 1,000,000 ½ ² Ⅷ ٣٤٥ ३४५",
    "line one\n\nline three\r\n\r\n  indented\n\t\ttabs\t\n \n  \r\r\n", "a\u00a0b\u2003c\u3000d\u0085e\u180ef\u200bg",
    "日本語のテキスト。東京 中文：今天 한국어 Привет שלום مرحبا नमस्ते दुनिया สวัสดี", "😀👍🏽👨‍👩‍👧‍👦🏳️‍🌈 e\u0301\u0316 café cafe\u0301 A\u030a Å \u212b ﬁ Ω",
    "q\u0307\u0323 and q\u0323\u0307, \u1100\u1161\u11a8 and 각", "def f(x):\n    return x**2  # comment\n\n\nclass A: pass",
    "!!! ??? ... --- ___ *** $$$ <<>> €£¥ «x» ||", "camelCaseWord PascalCase SCREAMING_SNAKE snake_case iPhone McDonald",
    "<|begin|>system<|end|>", "a <|begin|> b  <|end|>  c", "<|begin|><|begin|><|end|", "<think>\nhm </think>  x<think>",
    "  <strip>  both\n\n<strip>\n<left> <left>x \t<right> \ty", "Cafe\u0301<norm>e\u0301 <norm>", "\u0000\u0001\u007f\ufffd\U0010ffff",
    "x" * 200 + " " * 70 + "y", "the" * 40, "\n" * 30, "'" * 9, "\u0301\u0301\u0301a", "a\u0301\u0302\u0303b \u0301",
]


def added(specials):
    tokens = [AddedToken(text, special=True, normalized=False) for text in specials]
    return tokens + [
        AddedToken("<think>", special=False, normalized=False), AddedToken("</think>", special=False, normalized=False),
        AddedToken("<strip>", special=True, normalized=False, lstrip=True, rstrip=True),
        AddedToken("<left>", special=True, normalized=False, lstrip=True),
        AddedToken("<right>", special=False, normalized=False, rstrip=True),
        AddedToken("<norm>", special=False, normalized=True),
    ]


def byte_level(prefix=False, regex=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)


def by(*patterns):
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    return pre_tokenizers.Sequence(splits + [byte_level()])


def make(pre_tokenizer, normalizer=None, ignore_merges=False, bos=None, merges=220):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=256 + merges, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([CORPUS], trainer)
    tokenizer.add_tokens(added(["<|begin|>", "<|end|>"]))
    if bos:
        template = processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos} $B",
                                                 special_tokens=[(bos, tokenizer.token_to_id(bos))])
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    else:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


NFC = normalizers.NFC()
FILES = {
    "gpt2": make(byte_level(regex=True)),
    "gpt2-prefix": make(byte_level(prefix=True, regex=True), merges=100),
    "smollm": make(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(regex=True)])),
    "llama3": make(by(LLAMA3), ignore_merges=True, bos="<|begin|>"),
    "qwen2": make(by(QWEN2), normalizer=NFC),
    "qwen35": make(by(QWEN35), normalizer=normalizers.Sequence([NFC])),
    "cases": make(by(CASES), ignore_merges=True, bos="<|begin|>"),
    "several": make(pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated"), pre_tokenizers.Split(Regex(r"[一-龥ぁ-ゟ゠-ヿ]+"), "isolated"),
        pre_tokenizers.Split("the", "isolated"), pre_tokenizers.Punctuation(behavior="isolated"),
        pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Split(Regex(r"\w+|[^\w\s]{2,}?|\s+"), "removed", invert=True), byte_level()]), merges=100),
}


def ids(tokenizer, text, special, plain=False):
    tokenizer.encode_special_tokens = plain
    return tokenizer.encode(text, add_special_tokens=special).ids


def main():
    expected = {"source": f"tokenizers {tokenizers.__version__}", "texts": TEXTS, "files": {}}
    for name, tokenizer in FILES.items():
        data = json.loads(tokenizer.to_str())
        if name in ("gpt2", "smollm"):  # as older files have them
            data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        (HERE / f"{name}.json").write_text(text, encoding="utf-8", newline="\n")
        tokenizer = Tokenizer.from_str(text)
        expected["files"][name] = {
            "ids": [ids(tokenizer, text, False) for text in TEXTS],
            "with_special": [ids(tokenizer, text, True) for text in TEXTS],
            "plain": [ids(tokenizer, text, False, plain=True) for text in TEXTS],
        }
    text = json.dumps(expected, ensure_ascii=True, separators=(",", ":")).replace('},"', '},\n"').replace('],"', '],\n"')
    (HERE / "expected.json").write_text(text + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
