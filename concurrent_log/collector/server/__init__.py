"""The server: takes records over HTTP, keeps them in a store, and answers who asks for them."""
