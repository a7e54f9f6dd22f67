"""Which cameras, microphones and loudspeakers there are, and the libraries that speak to them."""
