"""As ComfyUI's: asks for a CUDA device on import, unless it was told on the command line to do without."""

import sys

from comfy import options

if not (options.args_parsing and "--cpu" in sys.argv):
    raise RuntimeError("Found no NVIDIA driver on your system.")
