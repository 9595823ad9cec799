import { storeRows } from './store-rows.ts';
import { describeStoreTable } from './store-table.ts';

describeStoreTable(storeRows);
