"""The broker port: what services may ask of RabbitMQ, and two adapters.

| module | what is in it |
|---|---|
| `topology` | exchanges, queues and bindings as data |
| `port` | messages, deliveries, publish results, and the protocols that services depend on |
| `errors` | the tree of errors that both adapters raise |
| `delays`, `settling`, `confirms` | pure parts: back-off, which acks to send, which publishes are confirmed |
| `pika_client` | `BlockingBroker`, for threaded services |
| `aio_client` | `AsyncBroker`, for asyncio services |
| `library_logs` | keeps the client libraries' own logs out of ours |

Nothing here decides what a message means. Any message may be lost, doubled or reordered; the adapters promise
only that they say so (`Outcome.UNKNOWN`, `Delivery.redelivered`) and that they come back by themselves.
"""
