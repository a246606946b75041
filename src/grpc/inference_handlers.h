// The methods of mokume.v1.InferenceService.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>

#include "api/service.h"

namespace mokume {

/// `service` outlives what is returned.
std::unique_ptr<grpc::Service> make_inference_handlers(Service& service);

}  // namespace mokume
