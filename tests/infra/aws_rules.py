"""AWS's rules that our template and definition rely on, as data: docs/aws-rules.md is made from this.

A rule says what AWS does, where AWS (or who saw it) says so, and what of ours would fail if we broke it. To add one: an
entry here, then `STEPVEC_UPDATE=1 .venv/bin/python -m pytest tests/unit/test_aws_rules.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

DOCS: Final = "https://docs.aws.amazon.com/"

Check = Literal["test", "schema", "second opinion", "account"]
CHECKS: Final[dict[Check, str]] = {
    "test": "a test of ours, on the template, the definition or the embedded AWS",
    "schema": "CloudFormation's resource schemas and rules, by cfn-lint (`make check`)",
    "second opinion": "a second emulator, which others wrote (`make second-opinion`)",
    "account": "only an AWS account can answer: the check of `make proof-on-aws`, or nothing yet",
}
PROOF_CHECKS: Final = ("job environment", "terminated jobs", "alarms", "deploy in mid-run", "image bucket", "removal")
"""The checks of `make proof-on-aws`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of AWS's.

    source: a page of docs.aws.amazon.com (its path), or another address where it is not AWS that says so.
    tests: those that fail if we break it, as pytest names them from tests/ on, without parameters.
    schema: whether cfn-lint knows it. proof: the check of `make proof-on-aws` that looks at it.
    """

    service: str
    text: str
    source: str
    tests: tuple[str, ...] = ()
    schema: bool = False
    second_opinion: bool = False
    proof: str = ""

    @property
    def address(self) -> str:
        """Where the rule is written."""
        return self.source if "://" in self.source else DOCS + self.source

    @property
    def checks(self) -> tuple[Check, ...]:
        """How it is checked; "account" where nothing else does, or where an account would say more."""
        found: list[Check] = []
        if self.tests:
            found.append("test")
        if self.schema:
            found.append("schema")
        if self.second_opinion:
            found.append("second opinion")
        if self.proof or not found:
            found.append("account")
        return tuple(found)


STEP_FUNCTIONS: Final = "AWS Step Functions"
BATCH: Final = "AWS Batch, Amazon ECS, Amazon EC2"
LAMBDA: Final = "AWS Lambda, Amazon SQS"
S3: Final = "Amazon S3"
DYNAMODB: Final = "Amazon DynamoDB"
WATCHING: Final = "Amazon CloudWatch, Amazon SNS, AWS KMS"
STARTING: Final = "Amazon EventBridge, EventBridge Scheduler, API Gateway"
IAM: Final = "AWS IAM"
CLOUDFORMATION: Final = "AWS CloudFormation, AWS CDK"

RULES: Final = (
    # --- Step Functions -----------------------------------------------------------------------------------
    Rule(
        STEP_FUNCTIONS,
        "A state's input and output have at most 256 KiB; more ends it with States.DataLimitExceeded.",
        "step-functions/latest/dg/service-quotas.html",
        (
            "unit/test_limits.py::test_the_largest_state_is_far_below_the_payload_limit",
            "localaws/test_states_language.py::test_state_output_over_the_limit_fails",
        ),
    ),
    Rule(
        STEP_FUNCTIONS,
        "The results of a Distributed Map without ResultWriter are one array under the same limit, even where "
        "ResultPath drops it.",
        "https://github.com/aws/aws-cdk/issues/24799",
        (
            "localaws/test_states_map.py::test_result_over_the_limit_fails",
            "asl/test_definition.py::test_children_answer_nothing_since_the_maps_result_must_stay_small",
        ),
        proof="terminated jobs",
    ),
    Rule(
        STEP_FUNCTIONS,
        "A child that failed is in that array with its metadata, as if Transformation were NONE: some 1 KB each.",
        "step-functions/latest/dg/input-output-resultwriter.html",
        (
            "localaws/test_states_map.py::test_a_tolerated_failed_child_gives_its_metadata",
            "localaws/test_states_map.py::test_many_tolerated_failures_are_over_the_limit",
        ),
        proof="terminated jobs",
    ),
    Rule(
        STEP_FUNCTIONS,
        "Tolerated failures (count or percentage, also by path) stop neither the other children nor the Map.",
        "step-functions/latest/dg/state-map-distributed.html",
        (
            "localaws/test_states_map.py::test_tolerance",
            "localaws/test_states_map.py::test_full_tolerance_lets_the_siblings_go_on_and_counts",
        ),
    ),
    Rule(
        STEP_FUNCTIONS,
        "Children of a Distributed Map have a history of their own; an execution's history ends at 25,000 events.",
        "step-functions/latest/dg/service-quotas.html",
        ("unit/test_limits.py::test_a_hundred_million_images_fit_one_execution",),
    ),
    Rule(
        STEP_FUNCTIONS,
        "`.sync` does not exist in Express executions, so the Map's children are Standard ones.",
        "step-functions/latest/dg/connect-to-resource.html",
        ("asl/test_definition.py::test_the_map_is_distributed_with_standard_children",),
    ),
    Rule(
        STEP_FUNCTIONS,
        "A Map takes numbers by path (MaxConcurrencyPath, ToleratedFailurePercentagePath); States.StringToJson makes "
        "them of text.",
        "step-functions/latest/dg/intrinsic-functions.html",
        ("localaws/test_states_map.py::test_numbers_by_path_from_text",),
        second_opinion=True,
    ),
    Rule(
        STEP_FUNCTIONS,
        "ErrorEquals is case-sensitive, and a name that no service throws never matches.",
        "step-functions/latest/dg/concepts-error-handling.html",
        (
            "asl/test_definition.py::test_every_task_has_a_timeout_and_a_retry_of_real_error_names_with_jitter",
            "asl/test_definition.py::test_catches_name_real_errors",
        ),
        second_opinion=True,
    ),
    Rule(
        STEP_FUNCTIONS,
        "A function's own error is known by its class; Lambda's by `Lambda.<exception>`.",
        "step-functions/latest/dg/sfn-best-practices.html",
        (
            "localaws/test_states_tasks.py::test_lambda_error_is_caught_by_its_class_name",
            "asl/test_definition.py::test_error_names_of_ours_are_classes_of_ours",
        ),
        second_opinion=True,
    ),
    Rule(
        STEP_FUNCTIONS,
        "A failed `batch:submitJob.sync` is States.TaskFailed with the job's description as its Cause; with "
        "capital letters, which the API does not have.",
        "step-functions/latest/dg/connect-batch.html",
        (
            "localaws/test_states_tasks.py::test_failed_batch_job_is_caught_as_task_failed_with_the_job_as_cause",
            "unit/test_verification.py::test_a_job_that_failed_is_explained_in_one_line",
        ),
        proof="terminated jobs",
    ),
    Rule(
        STEP_FUNCTIONS,
        "Stopping an execution, or a task's timeout, terminates the job of `.sync`.",
        "step-functions/latest/dg/connect-to-resource.html",
        (
            "localaws/test_states_tasks.py::test_stopping_an_execution_terminates_its_job",
            "localaws/test_states_tasks.py::test_task_timeout_is_caught_and_terminates_the_job",
        ),
    ),
    Rule(
        STEP_FUNCTIONS,
        "`.sync` learns of a job's end by the EventBridge rule StepFunctionsGetEventsForBatchJobsRule, which the role "
        "must be allowed to make.",
        "step-functions/latest/dg/batch-iam.html",
        (
            "localaws/test_states_tasks.py::test_sync_needs_the_managed_rule",
            "localaws/test_deployer.py::test_machine_without_the_managed_rules_permissions_is_not_created",
        ),
    ),
    Rule(
        STEP_FUNCTIONS,
        "A Distributed Map starts its own machine: the role needs states:StartExecution on it.",
        "step-functions/latest/dg/iam-policies-eg-dist-map.html",
        ("localaws/test_states_map.py::test_needs_start_execution_on_itself",),
    ),
    Rule(
        STEP_FUNCTIONS,
        "An execution's name is used once, and again after 90 days.",
        "step-functions/latest/apireference/API_StartExecution.html",
        (
            "localaws/test_states_language.py::test_execution_name_is_used_once",
            "local/test_pipeline.py::test_a_name_used_again_reads_nothing_of_the_run_before",
        ),
    ),
    Rule(
        STEP_FUNCTIONS,
        "An execution that runs keeps the definition that it began with, whatever is deployed meanwhile.",
        "step-functions/latest/apireference/API_UpdateStateMachine.html",
        ("localaws/test_stacks.py::test_an_execution_goes_on_with_the_definition_that_it_began_with",),
        proof="deploy in mid-run",
    ),
    Rule(
        STEP_FUNCTIONS,
        "A definition has 1 MB at most and fields that are known; the service validates it when the machine is made.",
        "step-functions/latest/apireference/API_ValidateStateMachineDefinition.html",
        ("asl/test_definition.py::test_every_state_ends_or_goes_on_and_has_only_known_fields",),
        second_opinion=True,
    ),
    # --- Batch --------------------------------------------------------------------------------------------
    Rule(
        BATCH,
        "evaluateOnExit has 5 rules at most; the first that matches counts, and what none matches is retried.",
        "batch/latest/userguide/job_retries.html",
        (
            "infra/test_templates.py::test_the_job_is_retried_after_everything_but_what_would_end_the_same_way",
            "localaws/test_embedded_batch.py::test_evaluate_on_exit_decides",
        ),
        schema=True,
    ),
    Rule(
        BATCH,
        "A job of a reclaimed Spot host ends with a status reason that begins with `Host EC2`.",
        "batch/latest/userguide/job_retries.html",
        ("localaws/test_embedded_batch.py::test_lost_host_is_retried_by_its_status_reason",),
    ),
    Rule(
        BATCH,
        "An attempt that runs into its timeout is not retried.",
        "batch/latest/userguide/job_timeouts.html",
        ("localaws/test_embedded_batch.py::test_timeout_ends_the_job_and_is_not_retried",),
    ),
    Rule(
        BATCH,
        "A job that is terminated gets SIGTERM, SIGKILL 30 s later, and is not retried.",
        "batch/latest/APIReference/API_TerminateJob.html",
        (
            "localaws/test_embedded_batch.py::test_terminated_job_is_not_retried",
            "localaws/test_embedded_batch.py::test_process_that_ignores_sigterm_is_killed_after_the_grace",
            "local/test_pipeline.py::test_a_worker_told_to_stop_stores_what_it_has_and_the_next_attempt_does_the_rest",
        ),
        proof="terminated jobs",
    ),
    Rule(
        BATCH,
        "On a Spot host that is reclaimed, dockerd gives a container 15 s, not ECS's 30.",
        "https://docs.docker.com/reference/cli/dockerd/",
        ("worker/test_supervisor.py::test_a_process_that_does_not_stop_is_killed_in_time",),
    ),
    Rule(
        BATCH,
        "A job that nothing can run stays RUNNABLE for ever, unless the queue cancels it after 10 minutes to 24 hours.",
        "batch/latest/userguide/job_stuck_in_runnable.html",
        ("infra/test_templates.py::test_a_job_that_waits_for_ever_is_cancelled",),
        schema=True,
    ),
    Rule(
        BATCH,
        "A container gets the variables that Batch documents, those of its job definition, and what the ECS agent "
        "adds: newer agents a region, older ones none.",
        "batch/latest/userguide/job_env_vars.html",
        (
            "localaws/test_embedded_batch.py::test_environment_is_that_of_the_container_alone",
            "localaws/test_embedded_batch.py::test_a_job_has_no_region_but_that_of_its_definition",
        ),
        proof="job environment",
    ),
    Rule(
        BATCH,
        "A container has CPU shares and no quota, so it cannot read how many vCPUs it has.",
        "AmazonECS/latest/developerguide/task_definition_parameters.html",
        ("infra/test_templates.py::test_the_jobs_environment_fills_the_workers_settings",),
    ),
    Rule(
        BATCH,
        "A queue sends jobs to its second compute environment also when the first one is full.",
        "batch/latest/userguide/job_queues.html",
        ("infra/test_combinations.py::test_spot_comes_first_and_on_demand_second",),
    ),
    Rule(
        BATCH,
        "A compute environment with a name of its own cannot be replaced while it has it.",
        "https://github.com/aws/aws-cdk/issues/27054",
        ("infra/test_templates.py::test_nothing_has_a_fixed_physical_name",),
    ),
    Rule(
        BATCH,
        "Compute environments with no minimum of vCPUs scale to zero.",
        "batch/latest/userguide/compute_environments.html",
        ("infra/test_templates.py::test_costs_nothing_when_idle",),
    ),
    Rule(
        BATCH,
        "SubmitJob takes 30 KiB, and container overrides 8,192 characters (an ECS limit that reaches through).",
        "batch/latest/userguide/service_limits.html",
        ("unit/test_limits.py::test_a_job_carries_one_uri_and_nothing_that_grows",),
    ),
    Rule(
        BATCH,
        "With IMDSv2 and one hop, a container cannot have its host's credentials.",
        "AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html",
        ("infra/test_templates.py::test_an_instance_gives_its_credentials_to_no_container_and_encrypts_its_disk",),
    ),
    # --- Lambda, SQS --------------------------------------------------------------------------------------
    Rule(
        LAMBDA,
        "A function runs 15 minutes at most, answers 6 MB at most, and its package has 250 MB unpacked at most.",
        "lambda/latest/dg/gettingstarted-limits.html",
        (
            "unit/test_limits.py::test_defaults_are_inside_the_limits",
            "localaws/test_embedded_lambda.py::test_answer_over_the_limit",
            "infra/test_templates.py::test_the_lambda_zip_holds_what_it_imports_and_little_else",
        ),
        schema=True,
    ),
    Rule(
        LAMBDA,
        "A new account may have a concurrency of 10: more invocations at once are Lambda.TooManyRequestsException.",
        "lambda/latest/dg/lambda-concurrency.html",
        (
            "localaws/test_embedded_lambda.py::test_64_shards_that_end_at_once_get_through_a_concurrency_of_10",
            "localaws/test_embedded_lambda.py::test_throttling_has_the_name_that_a_retrier_must_name",
        ),
    ),
    Rule(
        LAMBDA,
        "A function may be invoked twice for one event.",
        "lambda/latest/dg/invocation-retries.html",
        (
            "resilience/test_faults.py",
            "unit/test_sharding.py::test_rounds_cut_anywhere_give_the_same_shards",
        ),
    ),
    Rule(
        LAMBDA,
        "A queue's visibility timeout is at least the function's timeout, and should be six times that and the window.",
        "lambda/latest/dg/services-sqs-configure.html",
        (
            "infra/test_triggers.py::test_the_queues_are_encrypted_tls_only_and_patient",
            "localaws/test_triggers.py::test_a_mapping_that_aws_refuses",
        ),
    ),
    Rule(
        LAMBDA,
        "A batch of more than 10 messages needs a window; concurrency cannot be limited to less than 2.",
        "lambda/latest/dg/services-sqs-parameters.html",
        (
            "infra/test_triggers.py::test_many_uploads_are_one_invocation",
            "localaws/test_triggers.py::test_a_mapping_that_aws_refuses",
        ),
        schema=True,
    ),
    Rule(
        LAMBDA,
        "With ReportBatchItemFailures only the messages that the answer names come again.",
        "lambda/latest/dg/services-sqs-errorhandling.html",
        ("localaws/test_triggers.py::test_only_the_messages_that_the_answer_names_come_again_and_end_as_dead_letters",),
    ),
    Rule(
        LAMBDA,
        "Logs are lost, and nothing fails, where the role may not write them.",
        "lambda/latest/dg/monitoring-cloudwatchlogs.html",
        (
            "infra/test_templates.py::test_each_function_has_a_role_and_a_log_group_of_its_own",
            "localaws/test_embedded_lambda.py::test_without_the_permission_logs_are_lost",
        ),
    ),
    # --- S3 -----------------------------------------------------------------------------------------------
    Rule(
        S3,
        "A missing object is 404 to those who may list the bucket, and 403 to all others.",
        "AmazonS3/latest/API/API_GetObject.html",
        ("localaws/test_embedded_iam.py::test_missing_object_without_list_permission_is_forbidden",),
    ),
    Rule(
        S3,
        "GetObject with If-Match answers 412 for another version; PutObject with If-None-Match 412 where one is there.",
        "AmazonS3/latest/userguide/conditional-requests.html",
        (
            "localaws/test_storage_contract.py::test_get_if_match",
            "localaws/test_storage_contract.py::test_put_if_none_match",
        ),
    ),
    Rule(
        S3,
        "HeadObject needs s3:GetObject; there is no s3:HeadObject.",
        "AmazonS3/latest/API/API_HeadObject.html",
        ("localaws/test_embedded_iam.py::test_template_policies_allow_what_they_say",),
    ),
    Rule(
        S3,
        "A key has 1,024 bytes of UTF-8 of any kind; a listing has 1,000 keys a page, in order of their bytes.",
        "AmazonS3/latest/userguide/object-keys.html",
        (
            "localaws/test_storage_contract.py::test_any_key_is_stored_listed_read_and_deleted",
            "local/test_hostile_input.py::test_every_hostile_key_gets_a_row_of_its_own",
        ),
    ),
    Rule(
        S3,
        "A bucket sends its events to EventBridge only where that is switched on; the created one has it in its own "
        "properties.",
        "AmazonS3/latest/userguide/enable-event-notifications-eventbridge.html",
        ("infra/test_triggers.py::test_the_image_bucket_sends_events_without_a_custom_resource",),
        schema=True,
    ),
    Rule(
        S3,
        "Events come at least once, in any order, with keys that are not URL-encoded and a sequencer to order them.",
        "AmazonS3/latest/userguide/ev-events.html",
        (
            "localaws/test_triggers.py::test_an_upload_is_an_event_as_aws_writes_it",
            "unit/test_start_on_upload.py::test_of_several_uploads_of_a_key_the_last_counts_in_whatever_order_they_come",
        ),
    ),
    # --- DynamoDB -----------------------------------------------------------------------------------------
    Rule(
        DYNAMODB,
        "BatchGetItem takes 100 keys, none twice, and may leave some unprocessed without an error.",
        "amazondynamodb/latest/APIReference/API_BatchGetItem.html",
        (
            "localaws/test_storage_contract.py::test_batch_get_limits",
            "unit/test_vector_table.py::test_marks_are_read_100_at_a_time_with_what_was_left_unprocessed",
        ),
    ),
    Rule(
        DYNAMODB,
        "A PutItem whose condition does not hold writes nothing, and costs its write units all the same.",
        "amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html",
        ("unit/test_vector_table.py::test_a_row_is_never_written_over_one_of_a_newer_version",),
    ),
    Rule(
        DYNAMODB,
        "Only a strongly consistent read sees a row that was written a moment ago; ItemCount is hours old.",
        "amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html",
        ("unit/test_verification.py::test_only_what_would_be_missing_or_wrong_is_read_strongly_consistent",),
    ),
    Rule(
        DYNAMODB,
        "A row costs a write unit for each started KB: attribute names, key and values, a number about a byte for two "
        "digits.",
        "amazondynamodb/latest/developerguide/CapacityUnitCalculations.html",
        ("unit/test_item.py::test_item_size_follows_dynamodbs_rule",),
    ),
    Rule(
        DYNAMODB,
        "A new on-demand table takes 4,000 write and 12,000 read units a second, and throttles beyond.",
        "amazondynamodb/latest/developerguide/warm-throughput.html",
        ("unit/test_vector_table.py::test_what_may_pass_is_tried_again_until_the_row_is_stored",),
    ),
    Rule(
        DYNAMODB,
        "Warm throughput can be raised up to the table's quota, for a charge, and never be lowered.",
        "amazondynamodb/latest/developerguide/warm-throughput.html",
        ("localaws/test_stacks.py::test_a_table_is_warmed_and_never_cooled",),
    ),
    # --- CloudWatch, SNS, KMS -----------------------------------------------------------------------------
    Rule(
        WATCHING,
        "A topic with a policy of its own has lost SNS's default one: alarms publish only where it allows "
        "cloudwatch.amazonaws.com.",
        "https://github.com/aws-solutions/automated-security-response-on-aws/issues/43",
        (
            "localaws/test_notifications.py::test_an_alarm_publishes_if_the_topics_policy_lets_it",
            "localaws/test_notifications.py::test_a_rule_publishes_if_the_topics_policy_lets_it",
        ),
        proof="alarms",
    ),
    Rule(
        WATCHING,
        "An encrypted topic's key must let CloudWatch and EventBridge use it; EventBridge without aws:SourceAccount.",
        "sns/latest/dg/sns-key-management.html",
        ("infra/test_combinations.py::test_with_a_key_alarms_and_rules_may_still_publish",),
    ),
    Rule(
        WATCHING,
        "CloudWatch Logs uses a key only where the key's policy allows it, by the log group's ARN.",
        "AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
        ("infra/test_combinations.py::test_with_a_key_everything_that_is_stored_is_encrypted_with_it",),
    ),
    Rule(
        WATCHING,
        "A metric is its name with all its dimensions; an alarm on one that nobody writes is silent.",
        "AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html",
        (
            "infra/test_watching.py::test_every_metric_of_aws_exists_with_its_dimensions",
            "infra/test_watching.py::test_each_function_writes_the_metrics_that_the_list_says",
        ),
    ),
    Rule(
        WATCHING,
        "Three dashboards of up to 50 metrics are free; an alarm has 5 actions a state at most.",
        "AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html",
        (
            "infra/test_watching.py::test_the_dashboard_is_within_cloudwatchs_quotas",
            "infra/test_watching.py::test_every_alarm_tells_the_topic_and_is_silent_without_runs",
        ),
    ),
    Rule(
        WATCHING,
        "Batch has no metric of jobs that wait, and one event for a queue whose first job cannot start.",
        "batch/latest/userguide/batch-job-queue-blocked-events.html",
        ("infra/test_watching.py::test_a_blocked_queue_is_told_of_by_this_deployments_queue_only",),
    ),
    # --- EventBridge --------------------------------------------------------------------------------------
    Rule(
        STARTING,
        "A pattern has 4,096 characters at most; what stands in a list is `or`, so a prefix and a suffix of one key "
        "cannot both be asked for.",
        "eventbridge/latest/userguide/eb-create-pattern-operators.html",
        ("infra/test_triggers.py::test_a_pattern_is_of_prefixes_or_of_all_keys",),
        schema=True,
    ),
    Rule(
        STARTING,
        "A rule sends to a queue only where the queue's policy allows it; what cannot be sent is a dead letter.",
        "eventbridge/latest/userguide/eb-use-resource-based.html",
        ("localaws/test_triggers.py::test_without_the_queues_permission_an_event_becomes_a_dead_letter",),
    ),
    Rule(
        STARTING,
        "A schedule starts with the role that it is given; a rate fires when the schedule is made.",
        "scheduler/latest/UserGuide/schedule-types.html",
        (
            "infra/test_triggers.py::test_the_schedule_starts_the_machine_with_its_input",
            "localaws/test_scheduler.py::test_a_rate_fires_at_once_and_then_at_its_interval",
            "localaws/test_scheduler.py::test_a_schedule_whose_role_may_not_start_leaves_a_dead_letter",
        ),
        schema=True,
    ),
    Rule(
        STARTING,
        "StartExecution with the name and the input of an execution that runs is answered as the first time; with "
        "another input, or once it has ended, it is ExecutionAlreadyExists, for 90 days.",
        "step-functions/latest/apireference/API_StartExecution.html",
        ("triggers/test_http_start.py::test_one_token_starts_one_run_whose_status_and_report_are_there",),
    ),
    Rule(
        STARTING,
        "A route with AWS_IAM takes requests that Signature Version 4 signs for execute-api, of callers who may "
        "execute-api:Invoke it.",
        "apigateway/latest/developerguide/http-api-access-control-iam.html",
        (
            "triggers/test_http_start.py::test_who_may_not_gets_403",
            "triggers/test_http_start.py::test_what_was_signed_is_what_counts",
            "infra/test_http_start.py::test_every_route_needs_a_signature_and_goes_to_the_one_function",
        ),
    ),
    Rule(
        STARTING,
        "An HTTP API invokes a function with payload format 2.0, headers' names in lower case and those that come "
        "twice joined by commas, if the function's policy lets it.",
        "apigateway/latest/developerguide/http-api-develop-integrations-lambda.html",
        (
            "localaws/test_http_api.py::test_an_event_has_what_aws_documents",
            "triggers/test_http_start.py::test_a_missing_token_and_one_that_comes_twice_are_refused",
            "infra/test_http_start.py::test_only_this_api_invokes_the_function_and_only_by_its_routes",
        ),
    ),
    Rule(
        STARTING,
        "An HTTP API waits for its integration for 30 seconds and takes bodies of 10 MB; a stage's limits are a token "
        "bucket.",
        "apigateway/latest/developerguide/http-api-quotas.html",
        (
            "infra/test_http_start.py::test_limits_of_aws_are_kept",
            "infra/test_http_start.py::test_the_stage_throttles_and_logs_who_asked_for_what",
        ),
    ),
    # --- IAM ----------------------------------------------------------------------------------------------
    Rule(
        IAM,
        "Some actions know no resource and are allowed on `*` or not at all; all others take ARNs.",
        "service-authorization/latest/reference/list_awsbatch.html",
        ("infra/test_templates.py::test_only_what_knows_no_resources_is_allowed_on_all_of_them",),
    ),
    Rule(
        IAM,
        "What no statement allows is refused: each permission of the template is needed by some run.",
        "IAM/latest/UserGuide/reference_policies_evaluation-logic.html",
        (
            "local/test_permissions.py::test_without_one_permission_a_run_is_denied",
            "localaws/test_embedded_iam.py::test_every_permission_of_the_machine_is_needed",
        ),
    ),
    Rule(
        IAM,
        "A service can take a role only if the role's trust policy names it.",
        "IAM/latest/UserGuide/id_roles_create_for-service.html",
        ("localaws/test_deployer.py::test_role_that_does_not_trust_its_service",),
    ),
    # --- CloudFormation -----------------------------------------------------------------------------------
    Rule(
        CLOUDFORMATION,
        "Each property has its type, its values and whether a change replaces the resource.",
        "AWSCloudFormation/latest/UserGuide/resource-type-schemas.html",
        ("infra/test_combinations.py::test_cfn_lint_finds_nothing",),
        schema=True,
        second_opinion=True,
    ),
    Rule(
        CLOUDFORMATION,
        "What has DeletionPolicy Retain outlives its stack; a bucket that holds objects or versions cannot be deleted, "
        "nor a protected table or stack.",
        "AWSCloudFormation/latest/UserGuide/aws-attribute-deletionpolicy.html",
        (
            "infra/test_templates.py::test_data_outlives_its_stack",
            "localaws/test_stacks.py::test_protections_and_deletion",
        ),
        proof="removal",
    ),
    Rule(
        CLOUDFORMATION,
        "An update makes a new revision of a job definition and deregisters the old one, unless SkipDeregisterOnUpdate "
        "says otherwise.",
        "AWSCloudFormation/latest/TemplateReference/aws-properties-batch-jobdefinition-resourceretentionpolicy.html",
        ("localaws/test_stacks.py::test_a_changed_job_definition_is_another_revision",),
        proof="deploy in mid-run",
    ),
    Rule(
        CLOUDFORMATION,
        "A value that another stack imports cannot change: no setting may change what an export holds.",
        "AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html",
        proof="image bucket",
    ),
)
