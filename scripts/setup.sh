# Makes .venv and installs the requirements when needed. Sourced by the other scripts; $1 is the requirements file.
# A marker file holds the checksum of the requirements, so that changed requirements are installed again.

requirements=${1:-requirements.txt}
want=$(cat requirements*.txt | sha256sum | cut -d' ' -f1)
marker=.venv/.installed-$(basename "$requirements" .txt)
[ "$requirements" = requirements.txt ] && [ -f .venv/.installed-requirements-dev ] && marker=.venv/.installed-requirements-dev
if [ "$(cat "$marker" 2>/dev/null)" != "$want" ]; then
  if [ ! -x .venv/bin/python ]; then
    echo "making .venv with $(${PYTHON:-python3} --version)"
    "${PYTHON:-python3}" -m venv .venv
  fi
  echo "installing $requirements into .venv (about 2 GB, a minute or two)"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$requirements"
  echo "$want" > "$marker"
fi
PATH=$PWD/.venv/bin:$PATH
export PATH
