"""The gRPC services: profiles from the read view, identity from the graph, health."""
