#!/bin/sh
# Post one event, and show the response. URL names another intake: URL=http://intake.example:8192 sh post.sh
exec curl -sS -i "${URL:-http://127.0.0.1:8192}/v1/events" -H 'Content-Type: application/json' \
  -d '{"$schema":"/hello/greeting/1.0.0","meta":{"stream":"hello.greeting"},"name":"World"}'
