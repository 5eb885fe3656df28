"""The check-up behind `./jobs doctor`: what is checked stands in `checks`, a line each; what they look at in `place`."""
