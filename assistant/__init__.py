"""What an assistant knows: people, agents, chats."""
