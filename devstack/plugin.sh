#!/bin/bash
# DevStack plugin: installs and runs Karbor, which protects applications. Put this into local.conf:
#
#     [[local|localrc]]
#     enable_plugin karbor <address of this repository> <branch>
#     enable_service c-bak
#
# It needs Cinder's backup service (c-bak) for volumes, and nothing beyond what every DevStack runs. Its settings, with
# their defaults, are in the file settings beside this one.

function is_karbor_enabled {
    [[ ,${ENABLED_SERVICES} =~ ,"karbor-" ]]
}

function install_karbor {
    setup_develop "$KARBOR_DIR"
    pip_install PyMySQL
}

function configure_karbor {
    sudo install -d -o "$STACK_USER" -m 0755 "$KARBOR_CONF_DIR" "$KARBOR_CONF_DIR/providers.d"
    sudo install -d -o "$STACK_USER" -m 0700 "$KARBOR_STATE_PATH"
    rm -f "$KARBOR_CONF"
    iniset "$KARBOR_CONF" DEFAULT state_path "$KARBOR_STATE_PATH"
    iniset "$KARBOR_CONF" DEFAULT provider_config_dir "$KARBOR_CONF_DIR/providers.d"
    iniset "$KARBOR_CONF" DEFAULT secret_key_file "$KARBOR_CONF_DIR/secret.key"
    iniset "$KARBOR_CONF" DEFAULT osapi_karbor_listen "$(ipv6_unquote "$SERVICE_LISTEN_ADDRESS")"
    iniset "$KARBOR_CONF" DEFAULT osapi_karbor_listen_port "$KARBOR_API_PORT"
    iniset "$KARBOR_CONF" DEFAULT min_interval "$KARBOR_MIN_INTERVAL"
    iniset "$KARBOR_CONF" DEFAULT min_window_time "$KARBOR_MIN_WINDOW"
    iniset "$KARBOR_CONF" DEFAULT max_window_time "$KARBOR_MAX_WINDOW"
    iniset "$KARBOR_CONF" database connection "$(database_connection_url karbor)"
}

function init_karbor {
    recreate_database karbor
    "$KARBOR_BIN_DIR/karbor-manage" db sync --config-file "$KARBOR_CONF"
    "$KARBOR_BIN_DIR/karbor-manage" register --os-cloud devstack-admin --url "$KARBOR_API_URL" \
        --region "$REGION_NAME" --project "$SERVICE_PROJECT_NAME" --new-password \
        --credentials "$KARBOR_CONF_DIR/karbor.conf.d/keystone.conf"
}

function start_karbor {
    local files="--config-file $KARBOR_CONF --config-file $KARBOR_CONF_DIR/karbor.conf.d/keystone.conf"
    run_process karbor-api "$KARBOR_BIN_DIR/karbor-api $files"
    run_process karbor-engine "$KARBOR_BIN_DIR/karbor-engine $files"
    if ! wait_for_service "$SERVICE_TIMEOUT" "$KARBOR_API_URL/healthcheck"; then
        die $LINENO "karbor-api did not start"
    fi
}

function stop_karbor {
    stop_process karbor-api
    stop_process karbor-engine
}

function clean_karbor {
    sudo rm -rf "$KARBOR_CONF_DIR" "$KARBOR_STATE_PATH"
}

if is_karbor_enabled; then
    if [[ "$1" == "stack" && "$2" == "install" ]]; then
        echo_summary "Installing Karbor"
        install_karbor
    elif [[ "$1" == "stack" && "$2" == "post-config" ]]; then
        echo_summary "Configuring Karbor"
        configure_karbor
        init_karbor
    elif [[ "$1" == "stack" && "$2" == "extra" ]]; then
        echo_summary "Starting Karbor"
        start_karbor
    fi

    if [[ "$1" == "unstack" ]]; then
        stop_karbor
    fi

    if [[ "$1" == "clean" ]]; then
        clean_karbor
    fi
fi
