#!/bin/sh
# What the worker's own start.sh is to the tests: says that it runs, and as which process.
echo "start.sh runs as process $$"
find -L /runpod-volume/models /comfyui/custom_nodes -name '*.pth' -o -name '*.safetensors' -o -name '*.gguf' | sort
env | sort | sed 's/^/env /'
