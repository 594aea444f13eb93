"""A model on its way: its bytes so far, and the journal that says which blocks of them were finished."""
