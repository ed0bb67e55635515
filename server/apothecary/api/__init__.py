"""What Python programs call: one function a module, each imported when it is first used (see `apothecary`)."""
