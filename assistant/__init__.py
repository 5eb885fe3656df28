"""What an assistant knows: so far its chats."""
