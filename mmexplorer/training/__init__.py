"""The recipes that made the toy models in assets/models; the app never imports them."""
