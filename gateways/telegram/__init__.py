"""Telegram, both directions, over MTProto: what comes in becomes messages of chats, what is owed goes out."""
