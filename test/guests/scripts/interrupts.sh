#!/bin/sh
# Which controller each device's interrupts come through, when the kernel had to learn it from the MultiProcessor tables.
routed() {
  name="$1 through the I/O APIC"
  if grep -q "$2" /proc/interrupts; then echo "PASS: $name"; else echo "FAIL: $name: $(grep "$1" /proc/interrupts)"; fi
}
routed ttyS0 '^ *4: .* IO-APIC  *4-edge  *ttyS0'
routed i8042 '^ *1: .* IO-APIC  *1-edge  *i8042'
routed rtc0 '^ *8: .* IO-APIC  *8-edge  *rtc0'
log="$(dmesg)"
case "$log" in
  *'MPTABLE: OEM ID: PARAVANE'*) echo 'PASS: the tables were read' ;;
  *) echo 'FAIL: the tables were read: no line of them in the log' ;;
esac
case "$log" in
  *'ACPI: Interpreter disabled'*) echo 'PASS: without ACPI' ;;
  *) echo 'FAIL: without ACPI: its interpreter runs' ;;
esac
