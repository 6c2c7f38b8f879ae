# Run by mmdebstrap when all packages are installed, for a release whose systemd cannot read credentials; $1 is the new root.
# A service writes the files of the credential tmpfiles.extra instead.
set -eu

cat >"$1/usr/local/sbin/lab-credentials" <<'END'
#!/bin/sh
# A container finds the credential as a file, a virtual machine among its firmware's strings.
set -eu
umask 077
in_container=/run/host/credentials/tmpfiles.extra
in_firmware=/sys/firmware/dmi/entries/11-0/raw
if [ -e "$in_container" ]; then
  cat "$in_container"
else
  modprobe --quiet dmi-sysfs || true
  tr '\0' '\n' <"$in_firmware" | sed -n 's/^.*io\.systemd\.credential\.binary:tmpfiles\.extra=//p' | base64 --decode
fi | while read -r _type path mode _user _group _age content; do
  echo "$content" | base64 --decode >"$path"
  chmod "$mode" "$path"
done
END
chmod 0755 "$1/usr/local/sbin/lab-credentials"

cat >"$1/etc/systemd/system/lab-credentials.service" <<'END'
[Unit]
Description=Files that the lab gives to this host
DefaultDependencies=no
Before=ssh.service sysinit.target
RequiresMountsFor=/etc/ssh

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/lab-credentials

[Install]
WantedBy=sysinit.target
END
chroot "$1" systemctl --quiet enable lab-credentials.service
