#!/bin/sh
# Says again and again how long the guest has been up, to a hundredth; the host compares.
echo "clocksource: $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
i=0
while [ $i -lt 40 ]; do
  read -r up idle </proc/uptime
  echo "uptime: $up"
  sleep 0.1
  i=$((i + 1))
done
echo "PASS: uptime"
