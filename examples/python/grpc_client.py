"""Asks mokumed over gRPC and prints the answer as it streams.

    pip install grpcio grpcio-tools
    python examples/python/grpc_client.py "Why is the sky blue?" --target 127.0.0.1:50051
"""

import argparse
import pathlib
import sys

import grpc

PROTO_DIR = pathlib.Path(__file__).resolve().parents[2] / "proto"


def main():
    parser = argparse.ArgumentParser(description="Ask mokumed over gRPC.")
    parser.add_argument("question")
    parser.add_argument("--target", default="127.0.0.1:50051", help="host:port of the daemon's gRPC")
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--timeout", type=float, default=60, help="seconds until the call is given up")
    arguments = parser.parse_args()

    # Compiles the .proto in memory; a program would run `python -m grpc_tools.protoc` once instead.
    sys.path.insert(0, str(PROTO_DIR))
    messages, services = grpc.protos_and_services("mokume/v1/inference.proto")

    request = messages.ChatRequest(
        messages=[messages.ChatMessage(role="user", content=arguments.question)],
        options=messages.GenerationOptions(max_tokens=arguments.max_tokens, temperature=0),
    )
    with grpc.insecure_channel(arguments.target) as channel:
        stub = services.InferenceServiceStub(channel)
        try:
            for response in stub.Chat(request, timeout=arguments.timeout):
                print(response.text, end="", flush=True)
        except grpc.RpcError as error:
            print(f"\n{error.code().name}: {error.details()}", file=sys.stderr)
            return 1
    print(f"\n({response.usage.prompt_tokens} + {response.usage.completion_tokens} tokens)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
