"""Messages and services generated from proto/identity/v1; `make proto` writes them anew."""
