"""The part of the role that runs on the controller: validation of the variables, and the program sent to a host."""
