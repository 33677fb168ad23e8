"""Push notifications: subscriptions, events, the durable outbox, and the providers' senders."""
