# Run by mmdebstrap when all packages are installed; $1 is the new root.
set -eu

# Users: admin has sudo without a password, trainer with one. Nobody logs in with a password.
for user in admin trainer; do
  chroot "$1" useradd --create-home --shell /bin/bash "$user"
done
echo trainer:lab-trainer | chroot "$1" chpasswd
cat >"$1/etc/sudoers.d/lab" <<'END'
admin ALL=(ALL) NOPASSWD: ALL
trainer ALL=(ALL) ALL
END
chmod 0440 "$1/etc/sudoers.d/lab"

# The keys arrive when a host boots. The log tells each command that comes over ssh, so that round trips can be counted.
rm -f "$1"/etc/ssh/ssh_host_*
cat >"$1/etc/ssh/sshd_config.d/lab.conf" <<'END'
AuthorizedKeysFile /etc/ssh/lab_authorized_keys
HostKey /etc/ssh/ssh_host_ed25519_key
LogLevel VERBOSE
PasswordAuthentication no
UseDNS no
END

# QEMU's user-mode network is always the same, so the guest neither asks for an address nor waits for udev. A container uses
# the network of its computer.
cat >"$1/etc/systemd/system/lab-network.service" <<'END'
[Unit]
Description=Static network of the lab
DefaultDependencies=no
Before=network.target
ConditionVirtualization=!container

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/sbin/modprobe --all virtio_pci virtio_net virtio_rng
ExecStart=/bin/ip link set lo up
ExecStart=/bin/ip address add 10.0.2.15/24 dev eth0
ExecStart=/bin/ip link set eth0 up
ExecStart=/bin/ip route add default via 10.0.2.2

[Install]
WantedBy=sysinit.target
END
chroot "$1" systemctl --quiet enable lab-network.service ssh.service

# What a guest of minutes can do without; emulated, each unit and generator costs time at boot, and so does unpacking
# kernel modules. (/lib, since Debian 11 made by mmdebstrap has it apart from /usr/lib.)
chroot "$1" systemctl --quiet mask @MASKED_UNITS@
mkdir -p "$1/etc/systemd/system-generators"
for generator in "$1"/lib/systemd/system-generators/*; do
  ln -s /dev/null "$1/etc/systemd/system-generators/${generator##*/}"
done
find "$1"/lib/modules/ -name '*.ko.xz' -exec xz --decompress {} +
for version in "$1"/lib/modules/*; do
  chroot "$1" depmod "${version##*/}"
done

chroot "$1" dpkg-query --show >"$1/packages.txt"
