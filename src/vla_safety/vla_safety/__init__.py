"""The safety gate: nothing outside the limits reaches the arm."""
