"""A made-up help desk to try slimdown on, labelled as made up in every call."""
