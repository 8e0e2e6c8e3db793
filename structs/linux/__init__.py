"""What is known of builds of Linux."""
