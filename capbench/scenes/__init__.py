"""The drawn world: its scenes, its pictures, and the English that is spoken about them."""
