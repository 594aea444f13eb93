NODE_CLASS_MAPPINGS = {"BaseNode": object}
