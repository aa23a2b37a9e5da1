#!/bin/busybox sh
# First process of a guest: the file systems that every program expects, the kernel's modules, then
# the agent that does what the host says. VM_NAME comes from the kernel's command line.
/bin/busybox mkdir -p /sbin /usr/bin /usr/sbin
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=755 run /run
hostname "$VM_NAME"
for module in /modules/*.ko; do
  [ -e "$module" ] && { insmod "$module" || echo "vm: $module could not be loaded"; }
done
# Not exec: this shell reaps what programs leave behind.
node /app/vm/agent.mjs
echo "vm: the agent ended with $?"
poweroff -f
