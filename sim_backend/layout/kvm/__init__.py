"""A Linux and the KVM in it, laid out in memory by a real build's types."""
