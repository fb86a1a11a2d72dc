"""What can be read off the text of one answer, without asking anybody."""
