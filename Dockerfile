# The notebooks in a container, with PyTorch's CPU wheels. Not built by us: no Docker daemon was at hand.
#
#   docker build -t ygan . && docker run --rm -p 8888:8888 ygan      then open the address with 127.0.0.1 that it prints
#
# Binder builds this file too; it gives NB_USER and NB_UID, and needs the package notebook.
FROM python:3.12-slim
ARG NB_USER=student
ARG NB_UID=1000
ENV USER=$NB_USER HOME=/home/$NB_USER
RUN adduser --disabled-password --gecos "" --uid $NB_UID $NB_USER
WORKDIR $HOME/ygan
COPY --chown=$NB_UID . .
RUN pip install --no-cache-dir -c constraints.txt --no-deps --index-url https://download.pytorch.org/whl/cpu torch torchvision \
    && pip install --no-cache-dir -c constraints.txt -e . notebook \
    && bash -c '. ./environment.sh && VENV=/usr/local && quiet_jupyter' \
    && chown -R $NB_UID $HOME
USER $NB_USER
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser", "notebooks"]
