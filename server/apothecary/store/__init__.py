"""Where resources and their index live. The only SQL of the project."""
