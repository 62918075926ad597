"""The tabs of the page: a tab is a file with `build(page)` and a line in this table.

The key is what ?tab= in the address selects; then come the label and the module.
"""

TABS = {
    "zero-shot": ("Zero-shot", "mmexplorer.tabs.zero_shot"),
    "embedding-space": ("Embedding space", "mmexplorer.tabs.embedding_space"),
    "chat": ("Chat", "mmexplorer.tabs.chat"),
    "draw": ("Text-to-image", "mmexplorer.tabs.draw"),
}
