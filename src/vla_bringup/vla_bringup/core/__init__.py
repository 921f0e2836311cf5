"""The pure part: what is started, what is checked first, what is measured."""
