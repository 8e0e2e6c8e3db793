"""One kind of target a file. Nothing above this package knows which one it has."""
