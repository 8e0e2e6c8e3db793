"""The prompt: lines typed one after another, each a command of the one target.

Each part is a module, and none but `prompt` knows the others: what is known of the target without asking it
(`knowledge`, `objects`), completion, colours, the bar, the configuration.
"""
