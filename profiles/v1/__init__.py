"""Messages and services generated from proto/profiles/v1; `make proto` writes them anew."""
