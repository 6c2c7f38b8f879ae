# Run by mmdebstrap before the kernel is installed; $1 is the new root.
# The root disk needs no module, so the guests boot without an initrd and none is made.
set -eu
mkdir -p "$1/etc/initramfs-tools"
echo update_initramfs=no >"$1/etc/initramfs-tools/update-initramfs.conf"
