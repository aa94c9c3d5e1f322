# The image variant `docker`.
{ }
