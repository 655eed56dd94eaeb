case $1 in
check) [ -e /etc/tuned-by-us ] ;;
apply) : >/etc/tuned-by-us ;;
esac
