/*
 * Hello and ring: what the tests of Slurm compile with each MPI and run inside a container.
 *
 * Every rank says who and where it is and how many ranks wrote into the shared memory of its
 * node; then a token goes round through all ranks, each of which adds one. With any argument
 * it leaves without MPI_Finalize.
 */
#include <mpi.h>
#include <stdio.h>
#include <unistd.h>

/* Sum of what all ranks of this node have put into memory that they share. */
static int share(int *ret_size)
{
        MPI_Comm node;
        MPI_Win window;
        MPI_Aint size;
        int rank, unit, sum = 0;
        int *mine, *value;

        MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
        MPI_Comm_rank(node, &rank);
        MPI_Comm_size(node, ret_size);
        MPI_Win_allocate_shared(sizeof(*mine), sizeof(*mine), MPI_INFO_NULL, node, &mine, &window);
        MPI_Win_lock_all(MPI_MODE_NOCHECK, window);
        *mine = rank + 1;
        MPI_Win_sync(window);
        MPI_Barrier(node);
        MPI_Win_sync(window);
        for (int i = 0; i < *ret_size; i++) {
                MPI_Win_shared_query(window, i, &size, &unit, &value);
                sum += *value;
        }
        MPI_Barrier(node);
        MPI_Win_unlock_all(window);
        MPI_Win_free(&window);
        MPI_Comm_free(&node);
        return sum;
}

static int pass_token(int rank, int size)
{
        const int next = (rank + 1) % size, previous = (rank + size - 1) % size;
        int token = 1;

        if (rank == 0)
                MPI_Send(&token, 1, MPI_INT, next, 0, MPI_COMM_WORLD);
        MPI_Recv(&token, 1, MPI_INT, previous, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        if (rank != 0) {
                token++;
                MPI_Send(&token, 1, MPI_INT, next, 0, MPI_COMM_WORLD);
        }
        return token;
}

int main(int argc, char **argv)
{
        char host[256] = "";
        int rank, size, local, sum, token;

        MPI_Init(&argc, &argv);
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        MPI_Comm_size(MPI_COMM_WORLD, &size);
        (void)gethostname(host, sizeof(host) - 1);
        sum = share(&local);
        printf("hello %d of %d on %s: %d here, sum %d\n", rank, size, host, local, sum);
        token = pass_token(rank, size);
        if (rank == 0)
                printf("ring %d\n", token);
        MPI_Barrier(MPI_COMM_WORLD);
        (void)fflush(stdout);
        if (argc > 1)
                _exit(0);
        MPI_Finalize();
        return 0;
}
