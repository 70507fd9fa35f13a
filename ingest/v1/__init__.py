"""Messages and services generated from proto/ingest/v1; `make proto` writes them anew."""
