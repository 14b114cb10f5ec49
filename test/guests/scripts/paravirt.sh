#!/bin/sh
# What this guest uses of KVM's interface. The same script with and without it; the test reads the lines.
echo "clocksources: $(cat /sys/devices/system/clocksource/clocksource0/available_clocksource)"
echo "clocksource: $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
steal() { awk '/^cpu /{ print $9 }' /proc/stat; }
date +"epoch: %s"
echo "steal before: $(steal)"
# On this line the host adds 2.5 seconds.
echo "add steal now"
i=0
while [ $i -lt 20 ]; do
  sleep 0.01
  i=$((i + 1))
done
echo "steal after: $(steal)"
echo "PASS: paravirt script"
