"""What things cost, measured: `make bench` compares with Dovecot, each other module is a program too."""
