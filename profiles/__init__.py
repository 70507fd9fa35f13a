"""What is known of a person, sealed where it rests and served under consent."""
