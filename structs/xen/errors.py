"""What a profile cannot tell."""

from __future__ import annotations


class ProfileError(LookupError):
    """The profile lacks a symbol, a type or a member, or is no ISF document."""
