"""The server: takes records from many programs, keeps them, and lets people read them."""
