"""What a manifest's `source` names, as types: one module for each kind of host. Pure, without I/O."""
